import type { Meta, StoryObj } from '@storybook/react-vite';
import { consignments } from '../data/consignments';
import { tallyBy } from '../lib/ledger';
import { TonnageChart } from './TonnageChart';

const meta: Meta<typeof TonnageChart> = {
  component: TonnageChart,
  parameters: { layout: 'padded' },
};
export default meta;

type Story = StoryObj<typeof TonnageChart>;

export const WholeLedger: Story = { args: { tallies: tallyBy(consignments, (entry) => entry.vessel) } };
export const Empty: Story = { args: { tallies: [] } };
