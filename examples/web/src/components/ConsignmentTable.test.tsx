import { render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter } from 'react-router';
import { consignments } from '../data/consignments';
import { ConsignmentTable } from './ConsignmentTable';

const renderTable = (props: Partial<Parameters<typeof ConsignmentTable>[0]> = {}) => {
  const onSort = vi.fn();
  render(
    <MemoryRouter>
      <ConsignmentTable
        entries={consignments}
        order={{ key: 'id', direction: 'ascending' }}
        onSort={onSort}
        {...props}
      />
    </MemoryRouter>,
  );
  return onSort;
};

describe('ConsignmentTable', () => {
  it('has one row for each consignment, and a head', () => {
    renderTable();
    expect(screen.getAllByRole('row')).toHaveLength(consignments.length + 1);
  });

  it('says by which column it is ordered', () => {
    renderTable({ order: { key: 'tonnes', direction: 'descending' } });
    expect(screen.getByRole('columnheader', { name: 'Weight' })).toHaveAttribute('aria-sort', 'descending');
    expect(screen.getByRole('columnheader', { name: 'Vessel' })).toHaveAttribute('aria-sort', 'none');
  });

  it('asks for another order when a head is pressed', async () => {
    const onSort = renderTable();
    await userEvent.click(screen.getByRole('button', { name: 'Goods' }));
    expect(onSort).toHaveBeenCalledExactlyOnceWith('goods');
  });

  it('links each number to its page', () => {
    renderTable({ entries: consignments.slice(0, 1) });
    const row = screen.getAllByRole('row')[1];
    if (row === undefined) throw new Error('no row');
    expect(within(row).getByRole('link')).toHaveAttribute('href', '/consignment/HL-1001');
    expect(within(row).getByText('412.5 t')).toBeInTheDocument();
  });

  it('says so when nothing is left', () => {
    renderTable({ entries: [] });
    expect(screen.getByText('Nothing in the ledger matches.')).toBeInTheDocument();
    expect(screen.queryByRole('table')).not.toBeInTheDocument();
  });
});
